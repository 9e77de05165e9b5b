create table glass (
    run text primary key,
    reason text not null
);

create table finding (
    manual text not null,
    node text not null,
    run text not null,
    how text not null,
    since bigint not null,
    seen bigint not null,
    primary key (manual, node, run)
)
