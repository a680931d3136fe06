require_relative "spec_helper"

RSpec.shared_examples "the only process in its database" do
  let(:connection) { PG.connect(DATABASE) }
  after { connection.close }

  3.times do |number|
    it "finds what was migrated, seeded and written here: #{number}" do
      expect(connection.exec("select current_database()").getvalue(0, 0)).to end_with("~w#{ENV["TEST_ENV_NUMBER"]}")
      # A name that is unique, and the same for all processes.
      connection.exec_params("insert into people (name) values ($1)", ["person #{number}"])
      names = connection.exec("select name from people order by id").column_values(0)
      expect(names).to eq(["Ada", *(0..number).map { |index| "person #{index}" }])
    end
  end
end
