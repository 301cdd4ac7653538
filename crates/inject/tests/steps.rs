//! Every step of an injection, on a system that exists only in this test: each call is made to fail
//! in turn, and the error must name the step, and nothing may be left behind.

mod fake;

use std::mem::MaybeUninit;
use std::sync::atomic::Ordering;
use std::time::Duration;

use allograft_inject::{
    Assistant, Ending, Error, Function, Handle, HeapScope, InjectionLock, LoadedEvent,
    OptionValues, Page, Rejected, Route, State, StatusPage, Step, Step::*, SystemError, Task,
    load_by_thread, queue_load, until_nul,
};
use fake::{CHILD, Fake, OTHER_USER, REFUSED, THREAD, Wait};

/// "m.dll", NUL-terminated.
const PATH: &[u16] = &[109, 46, 100, 108, 108, 0];

/// Runs `action` on new systems, on each of which one more call succeeds before one is refused,
/// until all succeed. Returns the steps that failed, in order. After each failure nothing may be
/// left but what `leaves` expects.
fn refuse_each(
    action: impl Fn(&Fake) -> Result<(), Error>,
    leaves: impl Fn(&Fake, Step) -> bool,
) -> Vec<Step> {
    let mut steps = Vec::new();
    loop {
        let system = Fake::default();
        system.calls_before_refusal.set(Some(steps.len()));
        match action(&system) {
            Ok(()) => return steps,
            Err(Error::Refused(step, error)) => {
                assert_eq!(error, REFUSED, "{step}");
                if !leaves(&system, step) {
                    system.assert_nothing_left(&format!("after failing to {step} it"));
                }
                steps.push(step);
            }
            Err(error) => panic!("call {} was refused, and the error is: {error}", steps.len()),
        }
        assert!(steps.len() < 100, "no call was refused, again and again");
    }
}

fn refuse_each_leaving_nothing(action: impl Fn(&Fake) -> Result<(), Error>) -> Vec<Step> {
    refuse_each(action, |_, _| false)
}

#[test]
fn a_launchers_page_is_made_in_these_steps() {
    let steps =
        refuse_each_leaving_nothing(|system| StatusPage::for_target(system, CHILD).map(drop));
    assert_eq!(steps, [ReadToken, ReadToken, ReadCreationTime, CreateSection, MapSection]);
}

#[test]
fn a_childs_page_is_made_and_left_in_it_in_these_steps() {
    let steps = refuse_each_leaving_nothing(|system| {
        let page = StatusPage::for_child(system, CHILD)?;
        page.set_options(&OptionValues::default());
        page.leave_in(CHILD)
    });
    assert_eq!(
        steps,
        [ReadToken, ReadToken, ReadCreationTime, CreateSection, MapSection, GiveHandle]
    );
}

#[test]
fn the_modules_own_page_is_opened_in_these_steps() {
    let steps = refuse_each_leaving_nothing(|system| {
        system.plant_page(Handle::OWN_PROCESS, State::Empty);
        StatusPage::for_own_process(system).map(drop)
    });
    assert_eq!(
        steps,
        [ReadCreationTime, CreateSection, MapSection, ReadSecurity, ReadToken, ReadToken]
    );
}

#[test]
fn the_page_of_another_process_is_opened_in_these_steps() {
    let steps = refuse_each_leaving_nothing(|system| {
        system.plant_page(CHILD, State::Active);
        match StatusPage::open(system, CHILD) {
            // What cannot be mapped as a page is none.
            Err(Error::Rejected(Rejected::NotAPage)) => Err(Error::Refused(MapSection, REFUSED)),
            result => result.map(|page| assert!(page.is_some())),
        }
    });
    assert_eq!(steps, [OpenSection, MapSection, ReadCreationTime]);
}

#[test]
fn a_load_by_thread_takes_these_steps_and_frees_its_path() {
    let steps = refuse_each(
        |system| {
            let ending = load_by_thread(system, CHILD, PATH, None)?;
            assert_eq!(ending, Ending::Returned);
            system.assert_nothing_left("after the load");
            Ok(())
        },
        // The thread may still read the path.
        |system, step| step == Wait && system.left() == ["memory of the child"],
    );
    assert_eq!(steps, [Allocate, WritePath, StartThread, Wait]);
}

#[test]
fn a_thread_that_has_not_ended_keeps_its_path() {
    for (wait, ending) in
        [(Wait::SignalsSecond, Ending::ProcessEnded), (Wait::TimesOut, Ending::TimedOut)]
    {
        let system = Fake::default();
        system.wait_result.set(wait);
        assert_eq!(load_by_thread(&system, CHILD, PATH, Some(Duration::ZERO)), Ok(ending));
        assert_eq!(system.left(), ["memory of the child"]);
    }
}

fn queue_and_wait(system: &Fake) -> Result<Ending, Error> {
    let event = LoadedEvent::new(system, CHILD)?;
    queue_load(system, CHILD, THREAD, PATH, Some(event.handle_there()))?;
    event.wait()
}

#[test]
fn a_queued_load_takes_these_steps_and_leaves_its_path() {
    let steps = refuse_each(
        |system| {
            assert_eq!(queue_and_wait(system)?, Ending::Returned);
            // Freeing it would race with the end of the process.
            assert_eq!(system.left(), ["memory of the child"]);
            Ok(())
        },
        // The load is queued, and will read the path.
        |system, _| !system.queued.borrow().is_empty() && system.left() == ["memory of the child"],
    );
    assert_eq!(steps, [CreateEvent, GiveHandle, Allocate, WritePath, QueueCall, QueueCall, Wait]);
}

#[test]
fn the_event_is_set_after_the_module_is_loaded() {
    let system = Fake::default();
    queue_and_wait(&system).unwrap();
    assert_eq!(*system.queued.borrow(), [Function::LoadLibrary, Function::SetEvent]);
    assert_eq!(*system.written.borrow(), PATH);
}

#[test]
fn without_an_event_the_load_alone_is_queued_and_the_path_stays() {
    let system = Fake::default();
    queue_load(&system, CHILD, THREAD, PATH, None).unwrap();
    assert_eq!(*system.queued.borrow(), [Function::LoadLibrary]);
    assert_eq!(system.left(), ["memory of the child"]);
}

#[test]
fn a_process_that_ends_before_its_module_is_loaded_is_noticed() {
    let system = Fake::default();
    system.wait_result.set(Wait::SignalsSecond);
    assert_eq!(queue_and_wait(&system), Ok(Ending::ProcessEnded));
}

/// The launcher of the other bitness, with its error stream.
fn assistant() -> Assistant<'static> {
    Assistant { path: PATH, module: PATH, error_stream: Some(Handle(77)) }
}

fn assist(system: &Fake, task: Task) -> Result<Ending, Error> {
    let mut buffer = [0; 256];
    assistant().start(system, CHILD, task, &mut buffer)?.finish(Some(Duration::from_secs(10)))
}

#[test]
fn an_assistant_is_run_in_these_steps() {
    let steps = refuse_each_leaving_nothing(|system| {
        assist(system, Task::Queue { thread: THREAD, loaded: None })?;
        system.assert_nothing_left("after the task");
        Ok(())
    });
    assert_eq!(
        steps,
        [InheritHandle, InheritHandle, InheritHandle, StartAssistant, Wait, ReadExitCode]
    );
}

#[test]
fn an_assistant_inherits_what_its_command_line_names() {
    let system = Fake::default();
    let task = Task::Queue { thread: THREAD, loaded: Some(Handle(-1234)) };
    assist(&system, task).unwrap();
    let [thread, process, errors] = system.inheritable.borrow()[..] else {
        panic!("three handles are handed down");
    };
    assert_eq!(
        system.command_line.borrow().clone(),
        format!(
            "\"m.dll\" assist --process {} --module \"m.dll\" --thread {} --event {}",
            process.number(),
            thread.number(),
            u32::MAX - 1233
        )
    );
    assert_eq!(*system.inherited.borrow(), [process, thread, errors]);
    assert_eq!(Handle::from_number(Handle(-1234).number()), Handle(-1234));
}

#[test]
fn an_assistant_for_a_running_process_is_told_how_long_to_wait() {
    for (timeout, option) in
        [(Some(Duration::from_millis(1500)), " --timeout 1.500000000"), (None, "")]
    {
        let system = Fake::default();
        assist(&system, Task::Load { timeout }).unwrap();
        let line = system.command_line.borrow().clone();
        assert!(line.ends_with(&format!("--module \"m.dll\"{option}")), "{line}");
    }
}

#[test]
fn an_assistant_reports_by_its_exit_code() {
    for (code, result) in [
        (0, Ok(Ending::Returned)),
        (1, Ok(Ending::ProcessEnded)),
        (2, Ok(Ending::TimedOut)),
        (125, Err(Error::AssistantFailed(125))),
    ] {
        let system = Fake::default();
        system.program_exit_code.set(code);
        assert_eq!(assist(&system, Task::Load { timeout: None }), result);
        system.assert_nothing_left("after the task");
    }
}

#[test]
fn an_assistant_that_queues_a_call_has_done_so_or_failed() {
    let task = Task::Queue { thread: THREAD, loaded: None };
    for code in [1, 2, 125] {
        let system = Fake::default();
        system.program_exit_code.set(code);
        assert_eq!(assist(&system, task), Err(Error::AssistantFailed(code)));
    }
    assert_eq!(assist(&Fake::default(), task), Ok(Ending::Returned));
}

#[test]
fn an_assistant_that_takes_too_long_is_ended() {
    let system = Fake::default();
    system.wait_result.set(Wait::TimesOut);
    let result = assist(&system, Task::Load { timeout: None });
    assert_eq!(result, Err(Error::AssistantTimedOut));
    assert!(system.terminated.get());
    system.assert_nothing_left("after its end");
}

#[test]
fn an_assistant_that_is_not_there_is_told_from_one_that_does_not_start() {
    for (code, error) in [
        (2, Error::AssistantMissing),
        (3, Error::AssistantMissing),
        (8, Error::Refused(StartAssistant, SystemError(8))),
    ] {
        let system = Fake::default();
        system.program_error.set(Some(SystemError(code)));
        assert_eq!(assist(&system, Task::Load { timeout: None }), Err(error));
        system.assert_nothing_left("after the failure");
    }
}

#[test]
fn a_command_line_without_room_is_an_error() {
    let system = Fake::default();
    let mut buffer = [0; 20];
    let task = Task::Load { timeout: None };
    let result = assistant().start(&system, CHILD, task, &mut buffer).map(drop);
    assert_eq!(result, Err(Error::TooLong));
    system.assert_nothing_left("after the failure");
}

#[test]
fn a_lock_is_released_and_one_that_another_launcher_holds_is_not() {
    let system = Fake::default();
    drop(InjectionLock::acquire(&system, CHILD, Duration::ZERO).unwrap());
    assert_eq!(system.mutexes_released.get(), 1);
    system.assert_nothing_left("after the release");

    system.wait_result.set(Wait::TimesOut);
    let refused = InjectionLock::acquire(&system, CHILD, Duration::ZERO).map(drop);
    assert_eq!(refused, Err(Error::Locked));
    assert_eq!(system.mutexes_released.get(), 1);
    system.assert_nothing_left("after waiting in vain");
}

#[test]
fn a_launcher_goes_on_where_the_system_gives_no_lock() {
    // Two identifiers of the user, the mutex, the waiting.
    for calls in 0..4 {
        let system = Fake::default();
        system.calls_before_refusal.set(Some(calls));
        drop(InjectionLock::acquire(&system, CHILD, Duration::ZERO).expect("it goes on without"));
        assert_eq!(system.mutexes_released.get(), 0, "{calls} calls succeed");
        system.assert_nothing_left("after going on");
    }
}

fn copy(page: &StatusPage<'_, Fake>) -> Box<Page> {
    let mut copy: Box<MaybeUninit<Page>> = Box::new_uninit();
    page.copy_to(&mut copy);
    // SAFETY: `copy_to` has initialised it.
    unsafe { copy.assume_init() }
}

#[test]
fn a_new_page_belongs_to_its_process_and_says_nothing() {
    let system = Fake::default();
    let page = copy(&StatusPage::for_target(&system, CHILD).unwrap());
    assert_eq!(page.header.check(fake::CHILD_ID, fake::CREATED), Ok(()));
    assert_eq!(page.options.values(), None);
    assert_eq!(page.status.state.load(Ordering::Relaxed), State::Empty as u32);
    assert_eq!(created_section(&system), r"Local\allograft.42");
}

/// The name of the section that was created last, without its NUL.
fn created_section(system: &Fake) -> String {
    String::from_utf16(until_nul(&system.section_name.borrow())).unwrap()
}

#[test]
fn the_page_of_a_process_in_a_container_has_the_name_that_the_process_sees() {
    let system = Fake::default();
    system.container.set(Some([1, 1, 0, 0, 0, 0, 0, 15, 7, 0, 0, 0]));
    let seen_from_outside = r"Local\AppContainerNamedObjects\S-1-15-7\allograft.42";
    StatusPage::for_target(&system, CHILD).unwrap();
    assert_eq!(created_section(&system), seen_from_outside);
    StatusPage::for_child(&system, CHILD).unwrap();
    assert_eq!(created_section(&system), seen_from_outside);
    StatusPage::for_own_process(&system).unwrap();
    assert_eq!(created_section(&system), format!(r"Local\allograft.{}", fake::OWN_ID));
}

#[test]
fn the_options_that_one_side_writes_the_other_reads() {
    let system = Fake::default();
    let launcher = StatusPage::for_target(&system, CHILD).unwrap();
    let log: Vec<u16> = "a.log\0rest".encode_utf16().collect();
    let report = [u16::from(b'r'); allograft_inject::PATH_UNITS + 1];
    let values = OptionValues {
        disable: false,
        count: true,
        follow: true,
        heap: HeapScope::All,
        exact_sizes: true,
        log: &log,
        report: &report,
    };
    launcher.set_options(&values);
    let module = copy(&StatusPage::for_target(&system, CHILD).unwrap());
    let read = module.options.values().expect("options");
    assert_eq!((read.disable, read.count, read.follow), (false, true, true));
    assert_eq!((read.heap, read.exact_sizes), (HeapScope::All, true));
    assert_eq!(String::from_utf16(read.log).unwrap(), "a.log");
    assert_eq!(read.report, &report[..allograft_inject::PATH_UNITS - 1]);
}

#[test]
fn a_page_of_another_process_is_refused_by_all_who_do_not_create_it() {
    let system = Fake::default();
    system.plant_page(CHILD, State::Active);
    system.plant_page(Handle::OWN_PROCESS, State::Empty);
    system.created_later.set(1);
    let refused = Err(Error::Rejected(Rejected::OtherProcess));
    assert_eq!(StatusPage::for_target(&system, CHILD).map(drop), refused);
    assert_eq!(StatusPage::open(&system, CHILD).map(drop), refused);
    assert_eq!(StatusPage::for_own_process(&system).map(drop), refused);
    // A parent knows that its child has just been created: whatever is there is left over.
    assert_eq!(StatusPage::for_child(&system, CHILD).map(drop), Ok(()));
    system.assert_nothing_left("after the refusals");
}

#[test]
fn a_page_that_another_user_has_planted_is_not_used_by_the_module() {
    let system = Fake::default();
    system.plant_page(Handle::OWN_PROCESS, State::Empty);
    system.section_owner.set(Some(OTHER_USER));
    assert_eq!(StatusPage::for_own_process(&system).map(drop), Err(Error::Untrusted));
    system.assert_nothing_left("after the refusal");
}

#[test]
fn the_modules_page_is_its_own_if_nobody_has_made_one() {
    let system = Fake::default();
    system.section_owner.set(Some(OTHER_USER));
    let page = StatusPage::for_own_process(&system).unwrap();
    assert_eq!(copy(&page).header.check(fake::OWN_ID, fake::CREATED), Ok(()));
    drop(page);
    system.assert_nothing_left("after closing it");
}

#[test]
fn a_reader_sees_a_page_only_once_the_module_has_written_to_it() {
    let system = Fake::default();
    assert!(StatusPage::open(&system, CHILD).unwrap().is_none(), "there is no page");
    system.plant_page(CHILD, State::Empty);
    assert!(StatusPage::open(&system, CHILD).unwrap().is_none(), "nothing is written yet");
    system.plant_page(CHILD, State::NoRuntime);
    let page = copy(&StatusPage::open(&system, CHILD).unwrap().expect("a page"));
    assert_eq!(page.status.state.load(Ordering::Relaxed), State::NoRuntime as u32);
    system.assert_nothing_left("after reading");
}

#[test]
fn a_page_that_is_kept_stays_mapped() {
    let system = Fake::default();
    let _page = StatusPage::for_own_process(&system).unwrap().leak();
    assert_eq!(system.left(), ["handle", "view"]);
}

#[test]
fn a_child_of_the_other_bitness_is_reached_by_an_assistant() {
    let system = Fake::default();
    assert_eq!(Route::for_module(&system, CHILD), Route::Assistant);
    assert_eq!(Route::for_module(&system, Handle::OWN_PROCESS), Route::Direct);
}
