-- Passkeys (WebAuthn): public keys that prove a user to the console.
create table passkey (
  -- The credential's id, base64url.
  id text collate "C" primary key,
  user_name text collate "C" not null,
  public_key bytea not null,
  -- As the authenticator counts its uses; 0: it does not.
  counter bigint not null,
  -- The site it is good for, as its page's host name.
  site text not null,
  name text not null,
  created_at timestamptz not null,
  used_at timestamptz
);
create index passkey_user on passkey (user_name);

-- What an authenticator is asked to sign; gone once it was.
create table passkey_challenge (
  challenge text collate "C" primary key,
  -- Whose passkey is made; null: one is used.
  user_name text collate "C",
  expires_at timestamptz not null
);
