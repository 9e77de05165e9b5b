create table approval_group (
    run text not null,
    node text not null,
    person text not null,
    name text not null,
    primary key (run, node, person, name)
)
