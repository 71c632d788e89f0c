-- When and from where tokens were last used, at the primary and at nodes. Written in batches; a crash may lose the last few.
create table token_use (
  id text collate "C" primary key,
  at timestamptz not null,
  remote text not null
);
