-- What companies provision by SCIM (RFC 7643). Which account a user of theirs is, `identity` says: its subject is the id here.

create table scim_user (
  id text collate "C" primary key,
  provider text collate "C" not null,
  -- userName, in the one spelling that is taken once.
  user_key text collate "C" not null,
  external_id text collate "C",
  -- Everything else that the provider says, in the names of the schema (primary/scim/schema.ts).
  attributes jsonb not null,
  version bigint not null default 1,
  created_at timestamptz not null,
  modified_at timestamptz not null,
  unique (provider, user_key),
  unique (provider, external_id)
);
create index scim_user_order on scim_user (provider, created_at, id);

create table scim_group (
  id text collate "C" primary key,
  provider text collate "C" not null,
  display_key text collate "C" not null,
  display_name text not null,
  external_id text collate "C",
  version bigint not null default 1,
  created_at timestamptz not null,
  modified_at timestamptz not null,
  unique (provider, display_key)
);
create index scim_group_order on scim_group (provider, created_at, id);
create index scim_group_external on scim_group (provider, external_id);

create table scim_member (
  group_id text collate "C" not null references scim_group on delete cascade,
  user_id text collate "C" not null references scim_user on delete cascade,
  primary key (group_id, user_id)
);
create index scim_member_user on scim_member (user_id);

-- Ids of users on their way: one whose making was cut short gets the same again, and with it the account that may be there by then.
create table scim_promise (
  provider text collate "C" not null,
  user_key text collate "C" not null,
  external_id text collate "C",
  id text collate "C" not null,
  primary key (provider, user_key)
);
