create table looked (
    manual text not null,
    schedule text not null,
    node text not null,
    at bigint not null,
    primary key (manual, schedule, node)
);

create index span_of_node on span (manual, node) where until is null
