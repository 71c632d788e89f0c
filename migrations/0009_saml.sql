-- Signing on with SAML: the key that signs our requests and opens what is encrypted for us, and whose session here is which there.

-- PEM, told by the metadata; and its private key (primary/upstream/credentials.ts).
alter table identity_provider add column own_certificate text;
alter table identity_provider add column own_key bytea;

-- What the provider calls its own session, by which it ends ours or we end its.
alter table console_session add column provider_session text;
