-- What only the primary knows: passwords, refresh tokens, who did what, nodes' joining and health, download counts.
-- Users, tokens, grants and nodes themselves are changes in the log.

-- scrypt with its parameters in the text. user_name equals the name in the user's record.
create table password (
  user_name text collate "C" primary key,
  hash text not null,
  changed_at timestamptz not null default now()
);

-- Rotated at each use. A used one that comes again ends its family: somebody else has it.
create table refresh_token (
  hash text collate "C" primary key,
  family uuid not null,
  user_name text collate "C" not null,
  -- Id of the session's token record that was handed out with it.
  access_id text collate "C" not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  used_at timestamptz
);
create index refresh_token_family on refresh_token (family);
create index refresh_token_user on refresh_token (user_name);
create index refresh_token_access on refresh_token (access_id);
create index refresh_token_expiry on refresh_token (expires_at);

create table audit (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  who text not null,
  action text not null,
  subject text not null,
  -- 'ok' or the code of the error.
  outcome text not null,
  request_id text not null,
  remote text not null,
  detail json not null
);
create index audit_who on audit (who, id);

create function audit_is_append_only() returns trigger language plpgsql as $$
begin
  raise exception 'the audit trail is append only';
end $$;
create trigger audit_no_change before update or delete on audit for each row execute function audit_is_append_only();
create trigger audit_no_truncate before truncate on audit for each statement execute function audit_is_append_only();

-- One row per node that was ever made. The secret works once; the key that used it may ask again, since an answer can get lost.
create table node_join (
  id text collate "C" primary key,
  secret_hash text collate "C" not null unique,
  name text not null,
  repositories text[] not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  used_at timestamptz,
  public_key text,
  revoked boolean not null default false
);

create table node_status (
  id text collate "C" primary key,
  at timestamptz not null,
  remote text not null,
  -- The heartbeat as the node sent it.
  status text not null
);

create table node_policy (
  id text collate "C" primary key,
  policies text not null default '[]',
  sync_requested_at timestamptz
);

create table download (
  scope text collate "C" not null,
  path text collate "C" not null,
  day date not null,
  count bigint not null,
  last_at timestamptz not null,
  primary key (scope, path, day)
);
