-- Join keys: many short-lived nodes join with one, and none of them leaves a row.
alter table node_join add column ephemeral boolean not null default false;
-- How many may join; null: as many as come.
alter table node_join add column uses integer;
alter table node_join add column used integer not null default 0;
