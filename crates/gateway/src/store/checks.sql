create table schedule (
    name text primary key,
    since bigint not null,
    last bigint,
    error text
);

create table round (
    id text primary key,
    schedule text not null,
    segment text not null,
    slice bigint not null,
    due bigint not null,
    state text not null,
    manual text not null,
    source text not null,
    nodes text not null,
    checks text not null,
    runner text,
    lease_until bigint,
    unique (schedule, segment, slice, due)
);

create index round_due on round (segment, due);

create table span (
    manual text not null,
    node text not null,
    name text not null,
    since bigint not null,
    until bigint,
    seen bigint not null,
    outcome text not null,
    run_before text,
    evidence text not null,
    place text not null,
    schedule text not null,
    primary key (manual, node, name, since)
);

create index span_now on span (outcome, node) where until is null;

create table notice (
    id text primary key,
    kind text not null,
    body text not null,
    at bigint not null
);

create table outbox (
    id text not null,
    target text not null,
    body text not null,
    not_before bigint not null,
    tries bigint not null,
    primary key (id, target)
)
