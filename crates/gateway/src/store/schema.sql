create table runner (
    id text primary key,
    segment text not null,
    name text not null,
    secret_sha256 text,
    version text not null,
    boot text not null,
    seen bigint not null,
    room bigint not null,
    unique (segment, name)
);

create table login (
    token_sha256 text primary key,
    person text not null,
    way text not null,
    until bigint not null
);

create table ticket (
    token_sha256 text primary key,
    kind text not null,
    subject text not null,
    until bigint not null
);

create table run (
    id text primary key,
    manual text not null,
    revision text,
    source text not null,
    procedure_id text not null,
    title text not null,
    page_sha256 text not null,
    arguments text not null,
    asked_by text not null,
    owner text not null,
    reason text,
    ticket text,
    origin text not null,
    ask_key text,
    ask_sha256 text not null,
    confirm text not null,
    max_fail bigint not null,
    stop_after bigint,
    state text not null,
    status text,
    asked bigint not null,
    ended bigint,
    events bigint not null,
    bytes bigint not null,
    unique (asked_by, ask_key)
);

create table part (
    run text not null references run (id),
    node text not null,
    manual text not null,
    segment text not null,
    batch bigint not null,
    words text not null,
    machines text not null,
    plan_sha256 text not null,
    plan text not null,
    state text not null,
    status text,
    cause text,
    mode text not null,
    epoch bigint not null,
    runner text,
    boot text,
    seen bigint,
    lease_until bigint,
    not_before bigint,
    wants text,
    step bigint,
    start_at bigint,
    stop_after bigint,
    crashes bigint not null,
    crashed bigint,
    pinned text,
    primary key (run, node)
);

create index part_queued on part (segment, run) where state = 'queued';
create index part_leased on part (lease_until) where state in ('leased', 'unseen');
create index part_of_node on part (node, run);
create unique index part_alone on part (manual, node) where state in ('leased', 'unseen') and node <> '*';

create table lease (
    run text not null,
    node text not null,
    epoch bigint not null,
    runner text not null,
    primary key (run, node, epoch)
);

create table thread (
    run text not null,
    node text not null,
    epoch bigint not null,
    acked bigint not null,
    last_sha256 text not null,
    primary key (run, node, epoch)
);

create table event (
    run text not null,
    node text not null,
    epoch bigint not null,
    seq bigint not null,
    n bigint not null,
    kind text not null,
    step bigint,
    line text not null,
    primary key (run, node, epoch, seq)
);

create unique index event_order on event (run, n);

create table chunk (
    run text not null,
    node text not null,
    epoch bigint not null,
    seq bigint not null,
    n bigint not null,
    lines bigint not null,
    step bigint,
    bytes bigint not null,
    blob text not null,
    primary key (run, node, epoch, seq)
);

create unique index chunk_order on chunk (run, n);

create table question (
    run text not null,
    node text not null,
    epoch bigint not null,
    seq bigint not null,
    step bigint,
    text text not null,
    told text,
    choices text not null,
    asked text not null,
    state text not null,
    answer text,
    note text,
    answered_by text,
    answered bigint,
    primary key (run, node, epoch, seq)
);

create index question_open on question (run) where state = 'open';

create table act (
    run text not null,
    n bigint not null,
    at bigint not null,
    person text not null,
    verb text not null,
    detail text not null,
    primary key (run, n)
);

create table pulse (
    id bigint primary key,
    at bigint not null
);
