//! `allograft verify`: it passes where allograft works, and each of its checks says so where a
//! fault was put in on purpose.

use allograft_tests::Stage;

#[test]
fn it_works() {
    let run = Stage::load().launcher().args(&["verify", "--quick"]).run();
    println!("{run}");
    run.expect_code(0);
}

/// `cargo xtask` lays the programs out for scenarios that name their folder.
const FOLDER: &str = "verify";
