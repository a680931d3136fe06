create extension citext;
create table people (id integer generated always as identity primary key, name citext not null unique);
