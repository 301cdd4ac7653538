.mode csv
set threads = 4;
create table events as
  select i * 7919 % 100003 as number, 'name of ' || (i * 31 % 20011) as name, i % 97 as kind
  from range(600000) source(i);
select kind, count(*), sum(number), count(distinct name), min(name), max(name)
  from events group by kind order by kind limit 20;
select sum(length), count(*) from (
  select name, length(string_agg(number::varchar, ',')) as length from events group by name);
.exit
