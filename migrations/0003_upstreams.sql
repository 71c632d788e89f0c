-- Remote repositories: what only the primary knows about their upstreams.

-- Validators of what was last fetched under a name (or a path that may change), and where its files lie when not at their paths.
create table upstream_document (
  scope text collate "C" not null,
  name text collate "C" not null,
  -- The upstream's address: those of another one are of no use.
  upstream text not null,
  etag text,
  modified text,
  urls text not null default '{}',
  primary key (scope, name)
);

-- Encrypted with a key that lies beside the others, not in the database.
create table upstream_credential (
  scope text collate "C" primary key,
  sealed bytea not null
);

-- Listings' blobs are found by digest as files are.
alter table record add column listing_digest text collate "C"
  generated always as (case when kind = 'listing' then value::json -> 'blob' ->> 'digest' end) stored;
create index record_listing_digest on record (listing_digest) where kind = 'listing' and until is null;
