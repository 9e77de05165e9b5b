create table spool (
    blob text primary key,
    at bigint not null,
    bytes bigint not null,
    body text not null
);
