-- The log: every change in order, numbered without gaps, hashed as RFC 9162 leaves over salt || body.
-- `body` holds the bytes as they were hashed. A pruned body is null; its leaf stays.
create table log (
  number bigint primary key,
  epoch bigint not null,
  scope text collate "C" not null,
  at timestamptz not null,
  salt bytea not null,
  leaf bytea not null,
  body bytea
);
create index log_scope on log (scope, number);

-- The newest number. Whoever holds this row's lock appends; that is what orders the log across processes.
create table head (
  one boolean primary key default true check (one),
  epoch bigint not null,
  number bigint not null
);
insert into head (epoch, number) values (1, 0);

-- Signed lengths of the log. `frontier`: the right edge of the tree at that length, from which the next root follows.
create table checkpoint (
  epoch bigint not null,
  number bigint not null,
  note text not null,
  frontier text not null,
  primary key (epoch, number)
);

-- What the changes leave behind (protocol/metadata/rows.ts). Nothing is overwritten: a row is valid for positions
-- since <= n < until, and "as of n" costs a comparison.
create table record (
  kind text collate "C" not null,
  scope text collate "C" not null,
  name text collate "C" not null,
  sub text collate "C" not null,
  since bigint not null,
  until bigint,
  digest text collate "C" generated always as (case when kind = 'file' then value::json ->> 'digest' end) stored,
  value text not null
);
create unique index record_now on record (kind, scope, name, sub) where until is null;
create index record_digest on record (digest) where kind = 'file' and until is null;
create index record_past on record (kind, scope, name, sub, since) where until is not null;

-- Bytes of each scope's visible files, counted in the transaction that changes them.
create table usage (
  scope text collate "C" primary key,
  bytes bigint not null
);

-- One round trip for one batch of accepted changes. No rule lives here: the caller holds the lock on head, has read the
-- rows and decided. A row written twice in a
-- batch is there twice, the first with the second's number as its end.
create function append_batch(
  numbers bigint[], scopes text[], ats timestamptz[], salts bytea[], leaves bytea[], bodies bytea[],
  closed_kinds text[], closed_scopes text[], closed_names text[], closed_subs text[], closed_at bigint[],
  kinds text[], row_scopes text[], names text[], subs text[], sinces bigint[], untils bigint[], values_ text[],
  usage_scopes text[], usage_deltas bigint[]
) returns void language plpgsql as $$
begin
  insert into log (number, epoch, scope, at, salt, leaf, body)
    select n, (select epoch from head), s, a, sa, l, b from unnest(numbers, scopes, ats, salts, leaves, bodies) as t(n, s, a, sa, l, b);
  update record set until = t.c
    from unnest(closed_kinds, closed_scopes, closed_names, closed_subs, closed_at) as t(k, s, n, u, c)
    where record.kind = k and record.scope = s and record.name = n and record.sub = u and record.until is null;
  insert into record (kind, scope, name, sub, since, until, value)
    select * from unnest(kinds, row_scopes, names, subs, sinces, untils, values_);
  insert into usage as now (scope, bytes)
    select s, d from unnest(usage_scopes, usage_deltas) as t(s, d)
    on conflict (scope) do update set bytes = now.bytes + excluded.bytes;
  update head set number = numbers[array_length(numbers, 1)];
end $$;
