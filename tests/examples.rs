//! Every example prints what its documentation says.

use crate::harness::run;

#[test]
fn hello_world_greets_as_on_the_slides() {
    run("hello_world", "main", &[]).prints("hello-world received: Hello\nhello-world sent: Hello World\nmain received: Hello World\n");
}
