create table unrecorded (
    run text not null,
    node text not null,
    epoch bigint not null,
    primary key (run, node, epoch)
);

create table tree (
    id bigint primary key,
    size bigint not null,
    roots text not null
);

create table head (
    n bigint primary key,
    run text not null,
    node text not null,
    epoch bigint not null,
    last bigint not null,
    last_sha256 text not null,
    at bigint not null
);

create index head_of_run on head (run);

create table checkpoint (
    size bigint primary key,
    root text not null,
    at text not null,
    gateway text not null,
    signature text not null,
    key text not null
)
