insert into people (name) values ('Ada');
