-- Who signs on elsewhere: the providers, and which account each of their subjects is.

create table identity_provider (
  key text collate "C" primary key,
  kind text not null,
  title text not null,
  enabled boolean not null,
  -- JSON, without the secret ones, which are in `sealed` (primary/upstream/credentials.ts).
  settings text not null,
  sealed bytea not null
);

create table identity (
  provider text collate "C" not null,
  -- The provider's own, which never means somebody else.
  subject text collate "C" not null,
  user_name text collate "C" not null,
  -- Groups that the account has from this provider, and would not have without it.
  groups text[] not null,
  -- Disabled by this provider, so that it may enable the account again.
  deactivated boolean not null default false,
  last_at timestamptz not null,
  primary key (provider, subject)
);
create index identity_user on identity (user_name);
