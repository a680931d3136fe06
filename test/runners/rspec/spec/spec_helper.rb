require "pg"

# Each process of parallel_tests has a branch, which the server makes when the process first connects.
DATABASE = "#{ENV.fetch("DATABASE_URL")}~w#{ENV.fetch("TEST_ENV_NUMBER")}".freeze
