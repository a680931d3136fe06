require_relative "people"

RSpec.describe "people" do
  it_behaves_like "the only process in its database"
end
