create table consent (
    run text not null references run (id),
    node text not null,
    sha256 text not null,
    document text not null,
    manner text not null,
    needs text not null,
    machines text not null,
    until bigint,
    primary key (run, node)
);

create table approval (
    run text not null references run (id),
    node text not null,
    person text not null,
    signature text not null,
    not_after text not null,
    ends bigint not null,
    counts text not null,
    at bigint not null,
    primary key (run, node, person)
);
