-- Passkeys (WebAuthn): public keys that prove a user to the console.
create table passkey (
  -- The credential's id, base64url.
  id text collate "C" primary key,
  user_name text collate "C" not null,
  -- COSE (RFC 9052).
  public_key bytea not null,
  -- As the authenticator counts its uses; 0: it does not.
  counter bigint not null,
  name text not null,
  created_at timestamptz not null,
  used_at timestamptz
);
create index passkey_user on passkey (user_name);
