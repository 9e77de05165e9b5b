create table captured (
    run text not null,
    node text not null,
    machine text not null,
    name text not null,
    value text not null,
    primary key (run, node, machine, name)
);

create table seen_value (
    manual text not null,
    machine text not null,
    procedure_id text not null,
    name text not null,
    value text not null,
    run text not null,
    at bigint not null,
    primary key (manual, machine, procedure_id, name)
)
