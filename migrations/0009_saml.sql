-- Signing on with SAML: the keys that sign our requests and open what is encrypted for us, and whose session here is which there.

create table saml_key (
  provider text collate "C" primary key references identity_provider (key) on delete cascade,
  -- PEM; the metadata tells it.
  certificate text not null,
  -- The private key (primary/upstream/credentials.ts).
  sealed bytea not null
);

-- What the provider calls its own session, by which it ends ours or we end its.
alter table console_session add column provider_session text;
