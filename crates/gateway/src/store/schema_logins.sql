create table runner_certificate (
    sha256 text primary key,
    runner text not null references runner (id),
    until bigint not null
);

create index runner_certificate_of on runner_certificate (runner);

create table login_group (
    token_sha256 text not null,
    name text not null,
    primary key (token_sha256, name)
);
