//! Programs of places, one to a file, each a component made by `scripts/build-guests.sh`.
//!
//! | file                   | shows                                                 | command                                         |
//! | ---------------------- | ----------------------------------------------------- | ----------------------------------------------- |
//! | `hello_world.rs`       | spawn, put, get, wait: the slides' first program      | `placehost run hello_world.wasm main`           |
//! | `any_double.rs`        | requests and replies: the Racket guide's first place  | `placehost run any_double.wasm main`            |
//! | `echo.rs`              | two places of one start function                      | `placehost run echo.wasm main`                  |
//! | `ping_pong.rs`         | a channel between two children                        | `placehost run ping_pong.wasm main -- 10000`    |
//! | `many_places.rs`       | 10,000 places at once                                 | `placehost run many_places.wasm main -- 10000`  |
//! | `ring.rs`              | ends of channels in messages                          | `placehost run ring.wasm main -- 1000`          |
//! | `competing_readers.rs` | several readers of one end                            | `placehost run competing_readers.wasm main`     |
//! | `pipeline.rs`          | stages that do not know each other                    | `placehost run pipeline.wasm main`              |
//! | `prime_sieve.rs`       | places that start places                              | `placehost run prime_sieve.wasm main -- 100`    |
//! | `named.rs`             | a place found by its name                             | `placehost run named.wasm main`                 |
//! | `hello_distributed.rs` | the slides' second program: a place elsewhere         | `placehost run hello_distributed.wasm main --allow-nodes -- host2` |
//! | `multiple.rs`          | places on five nodes                                  | `placehost run multiple.wasm main --allow-nodes -- host2:6340` |
//! | `logging.rs`           | what is logged on another node                        | `placehost run -v logging.wasm main --allow-nodes -- host2:6340` |
//! | `restart.rs`           | a place that is started again                         | `placehost run restart.wasm main`               |
//! | `restarter.rs`         | the same, so often and no more                        | `placehost run restarter.wasm main`             |
//! | `channel_across.rs`    | a channel made on one node, used between two others   | `placehost run channel_across.wasm main --allow-nodes -- host2:6340` |
//! | `remote_kill.rs`       | the end of a place elsewhere                          | `placehost run remote_kill.wasm main --allow-nodes -- host2:6340` |
//! | `sync_everything.rs`   | one wait for messages, a timer, a socket, ends        | `placehost run sync_everything.wasm main --net` |
//! | `prod_id.rs`           | MPI: the slides' second framework                     | `placehost mpirun -n 8 prod_id.wasm prod_id`    |
//! | `mpi_ring.rs`          | MPI: a message around a ring                          | `placehost mpirun -n 8 mpi_ring.wasm ring`      |
//! | `kmeans.rs`            | MPI: clusters, by one allreduce a round               | `placehost mpirun -n 2 kmeans.wasm kmeans`      |
//! | `jacobi.rs`            | MPI: neighbours exchange edges while they compute     | `placehost mpirun -n 4 jacobi.wasm jacobi -- 64` |
//! | `npb_ep.rs`            | NAS EP: hardly any messages                           | `placehost mpirun -n 2 npb_ep.wasm ep -- S`     |
//! | `npb_is.rs`            | NAS IS: sorting integers                              | `placehost mpirun -n 2 npb_is.wasm is -- S`     |
//! | `npb_cg.rs`            | NAS CG: a sparse matrix                               | `placehost mpirun -n 2 npb_cg.wasm cg -- S`     |
//! | `npb_mg.rs`            | NAS MG: grids of all sizes                            | `placehost mpirun -n 2 npb_mg.wasm mg -- S`     |
//! | `npb_ft.rs`            | NAS FT: Fourier transforms, all to all                | `placehost mpirun -n 2 npb_ft.wasm ft -- S`     |
//! | `line_count.rs`        | MapReduce: the slides' third framework                | `placehost run line_count.wasm main --dir .::/data -- /data/a.txt` |
//! | `word_count.rs`        | MapReduce: a combiner                                 | `placehost run word_count.wasm main --dir .::/data` |
//! | `inverted_index.rs`    | MapReduce: a partitioner                              | `placehost run inverted_index.wasm main --dir .::/data` |
//! | `distributed_grep.rs`  | MapReduce: no reducer                                 | `placehost run distributed_grep.wasm main --dir .::/data -- word` |
//! | `terasort.rs`          | MapReduce: a sort of what it makes                    | `placehost run terasort.wasm main -- 100000`    |
//! | `sort.rs`              | MapReduce: a sort of files, in parts of equal size    | `placehost run sort.wasm main --dir .::/data`   |
//! | `pagerank.rs`          | MapReduce: jobs one after another                     | `placehost run pagerank.wasm main`              |
//!
//! The modules lie in `target/guests/wasm32-wasip2/release/examples`.
