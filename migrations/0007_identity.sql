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

-- What counts once: states of log-ins, ids of assertions and tokens of others. Kept until it would be refused for its age.
create table used_once (
  kind text collate "C" not null,
  -- SHA-256 of it.
  hash bytea not null,
  expires_at timestamptz not null,
  primary key (kind, hash)
);
create index used_once_expiry on used_once (expires_at);

-- Log-ins at providers that let us ask again who is in which group, and that tell when one ends.
create table identity_grant (
  provider text collate "C" not null,
  -- The provider's name for its session (sid), or one made here.
  session text collate "C" not null,
  subject text collate "C" not null,
  -- The refresh token, if there is one (primary/upstream/credentials.ts).
  sealed bytea,
  asked_at timestamptz not null,
  failing_since timestamptz,
  primary key (provider, session)
);
create index identity_grant_subject on identity_grant (provider, subject);

-- Which workloads (CI jobs, pods) speak for which account: JSON as given (primary/workload/rule.ts).
create table trust_rule (
  key text collate "C" primary key,
  rule text not null
);
