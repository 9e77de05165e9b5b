create index runner_of_secret on runner (secret_sha256);

create index part_of_runner on part (runner, state);

create index question_answered on question (run) where state = 'answered';

create index round_open on round (segment, due) where state in ('queued', 'leased');

create index round_of_runner on round (runner) where state = 'leased'
