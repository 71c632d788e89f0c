-- Sessions of the console, second factors, and the chain of the audit trail.

-- The cookie's value is known to the browser only. Ended by log-out, by its limits, and with all others of its user.
create table console_session (
  -- The beginning of the hash: names a session in lists.
  id text collate "C" primary key,
  -- SHA-256 of the cookie's value.
  hash text collate "C" not null,
  user_name text collate "C" not null,
  -- How the user was known: 'password', or a provider's key.
  method text not null,
  created_at timestamptz not null,
  seen_at timestamptz not null,
  remote text not null,
  agent text not null
);
create index console_session_user on console_session (user_name);
create index console_session_created on console_session (created_at);

-- A TOTP secret (RFC 6238), sealed with the key that lies beside the others. In force once a code of it was shown.
create table totp (
  user_name text collate "C" primary key,
  sealed bytea not null,
  in_force boolean not null default false,
  -- The newest time step that was used: a code is good once.
  step bigint not null default 0
);

-- SHA-256 of what is left of a user's recovery codes. A used one is gone.
create table recovery_code (
  user_name text collate "C" not null,
  hash text collate "C" not null,
  primary key (user_name, hash)
);

-- Each row's hash is SHA-256 over the one before it and the row's own bytes (primary/accounts/chain.ts), from here on; older
-- rows have none. The head is what the chain ends in.
alter table audit add column hash bytea;
create table audit_head (
  one boolean primary key default true check (one),
  id bigint not null,
  hash bytea not null
);
insert into audit_head (id, hash) values (0, decode(repeat('00', 32), 'hex'));

-- Appends rows in order. Whoever holds the head's row appends; the numbers are taken while it is held.
create function audit_append(
  ats timestamptz[], whos text[], actions text[], subjects text[], outcomes text[], request_ids text[], remotes text[],
  details text[], bodies text[]
) returns table (row_id bigint, row_hash bytea) language plpgsql as $$
begin
  select hash into row_hash from audit_head for update;
  for i in 1 .. cardinality(bodies) loop
    row_hash := sha256(row_hash || convert_to(bodies[i], 'UTF8'));
    insert into audit (at, who, action, subject, outcome, request_id, remote, detail, hash)
      values (ats[i], whos[i], actions[i], subjects[i], outcomes[i], request_ids[i], remotes[i], details[i]::json, row_hash)
      returning id into row_id;
    return next;
  end loop;
  update audit_head set id = row_id, hash = row_hash;
end $$;
