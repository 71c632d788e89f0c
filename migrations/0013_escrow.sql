-- What was last sealed to the operator's recovery key (primary/recovery/escrow.ts): a hash of its contents, and the key's public half.
create table escrow (
  id text collate "C" primary key,
  fingerprint text not null,
  sealed_to text not null
);
