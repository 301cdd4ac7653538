//! Shows pages, one after the other, in one task dialog.
//!
//! The system lays the dialog out, scales and reads it aloud, and the keyboard works as in all
//! dialogs. A new page replaces the one before in the same window.

use super::library::system_function;
use super::wide;
use crate::error::Error;
use crate::window::page::{Choice, Icon, Meter, Page, Update};
use std::cell::RefCell;
use std::ffi::OsStr;
use std::io;
use std::ptr;
use windows_sys::Win32::Foundation::{HWND, LPARAM, LRESULT, S_FALSE, S_OK, WPARAM};
use windows_sys::Win32::UI::Controls::{
    TASKDIALOG_BUTTON, TASKDIALOGCONFIG, TASKDIALOGCONFIG_0, TD_ERROR_ICON, TD_INFORMATION_ICON,
    TD_WARNING_ICON, TDCBF_CLOSE_BUTTON, TDE_CONTENT, TDF_ALLOW_DIALOG_CANCELLATION,
    TDF_CALLBACK_TIMER, TDF_CAN_BE_MINIMIZED, TDF_SHOW_MARQUEE_PROGRESS_BAR, TDF_SHOW_PROGRESS_BAR,
    TDF_USE_COMMAND_LINKS, TDM_CLICK_BUTTON, TDM_NAVIGATE_PAGE,
    TDM_SET_BUTTON_ELEVATION_REQUIRED_STATE, TDM_SET_ELEMENT_TEXT, TDM_SET_PROGRESS_BAR_MARQUEE,
    TDM_SET_PROGRESS_BAR_POS, TDM_SET_PROGRESS_BAR_RANGE, TDN_BUTTON_CLICKED, TDN_CREATED,
    TDN_NAVIGATED, TDN_TIMER,
};
use windows_sys::Win32::UI::WindowsAndMessaging::IDCLOSE;
use windows_sys::core::{BOOL, HRESULT};

type TaskDialogIndirect =
    unsafe extern "system" fn(*const TASKDIALOGCONFIG, *mut i32, *mut i32, *mut BOOL) -> HRESULT;
type SendMessage = unsafe extern "system" fn(HWND, u32, WPARAM, LPARAM) -> LRESULT;

/// The width of the dialog in its own units, which grow with the font and the resolution.
const WIDTH: u32 = 300;

/// The number of the first link; Windows' own buttons have small ones.
const FIRST_LINK: i32 = 1000;

/// The positions of the progress bar.
const STEPS: u16 = 1000;

/// What the pages are and what follows them. The owner is the window, for dialogs above it.
pub trait Pages {
    fn page(&mut self) -> Page;
    fn choose(&mut self, owner: HWND, choice: &Choice) -> Option<Update>;
    fn tick(&mut self) -> Option<Update>;
    /// The window is about to appear.
    fn opened(&mut self);
}

/// A page with everything that the system reads of it.
struct Layout {
    page: Page,
    config: TASKDIALOGCONFIG,
    /// What `config` points to.
    _texts: Vec<Vec<u16>>,
    _buttons: Vec<TASKDIALOG_BUTTON>,
}

struct Dialog<'a> {
    pages: RefCell<&'a mut dyn Pages>,
    /// The page that is shown. Boxed, because the system may keep a pointer to it.
    layout: RefCell<Box<Layout>>,
    send: SendMessage,
}

/// Texts of the dialog itself.
pub struct Labels {
    pub title: &'static str,
    pub details: &'static str,
    pub fewer_details: &'static str,
}

/// Shows `pages` until the user closes the window.
pub fn show(pages: &mut dyn Pages, labels: &Labels) -> Result<(), Error> {
    let failure = |source| Error::system("open a window", source);
    let missing = || failure(io::Error::last_os_error());
    let open = system_function!("comctl32.dll", "TaskDialogIndirect", TaskDialogIndirect)
        .ok_or_else(missing)?;
    let send = system_function!("user32.dll", "SendMessageW", SendMessage).ok_or_else(missing)?;
    let first = Layout::new(pages.page(), labels);
    let dialog = Dialog { pages: RefCell::new(pages), layout: RefCell::new(first), send };
    let state = State { dialog: &dialog, labels };
    let config: *const TASKDIALOGCONFIG = {
        let mut layout = dialog.layout.borrow_mut();
        layout.config.lpCallbackData = ptr::from_ref(&state) as isize;
        &layout.config
    };
    // SAFETY: what the configuration points to lives in `layout`, which is replaced only after the
    // system has been given another; the callback's data outlive the call.
    let result = unsafe { open(config, ptr::null_mut(), ptr::null_mut(), ptr::null_mut()) };
    if result < 0 {
        return Err(failure(io::Error::from_raw_os_error(result)));
    }
    Ok(())
}

/// What the callback gets.
struct State<'a> {
    dialog: &'a Dialog<'a>,
    labels: &'a Labels,
}

impl Layout {
    fn new(page: Page, labels: &Labels) -> Box<Layout> {
        let mut texts = Vec::new();
        let mut text = |text: &str| {
            texts.push(wide(OsStr::new(text)));
            // The units stay where they are when the list grows.
            texts.last().map_or(ptr::null(), |units| units.as_ptr())
        };
        let buttons: Vec<TASKDIALOG_BUTTON> = (FIRST_LINK..)
            .zip(&page.links)
            .map(|(number, link)| TASKDIALOG_BUTTON {
                nButtonID: number,
                // The first line is the title, and the rest its explanation.
                pszButtonText: text(format!("{}\n{}", link.title, link.note).trim_end()),
            })
            .collect();
        let flags = match page.meter {
            Meter::None => 0,
            Meter::Busy => TDF_SHOW_MARQUEE_PROGRESS_BAR,
            Meter::Share(_) => TDF_SHOW_PROGRESS_BAR,
        };
        let icon = match page.icon {
            Icon::Information => TD_INFORMATION_ICON,
            Icon::Warning => TD_WARNING_ICON,
            Icon::Error => TD_ERROR_ICON,
        };
        let config = TASKDIALOGCONFIG {
            cbSize: size_of::<TASKDIALOGCONFIG>() as u32,
            dwFlags: flags
                | TDF_USE_COMMAND_LINKS
                | TDF_ALLOW_DIALOG_CANCELLATION
                | TDF_CAN_BE_MINIMIZED
                | TDF_CALLBACK_TIMER,
            dwCommonButtons: TDCBF_CLOSE_BUTTON,
            pszWindowTitle: text(labels.title),
            Anonymous1: TASKDIALOGCONFIG_0 { pszMainIcon: icon },
            pszMainInstruction: text(&page.headline),
            pszContent: text(&page.text),
            cButtons: buttons.len() as u32,
            pButtons: buttons.as_ptr(),
            nDefaultButton: FIRST_LINK,
            pszExpandedInformation: page.details.as_deref().map_or(ptr::null(), &mut text),
            pszExpandedControlText: text(labels.fewer_details),
            pszCollapsedControlText: text(labels.details),
            pszFooter: text(&page.command),
            pfCallback: Some(notified),
            cxWidth: WIDTH,
            ..Default::default()
        };
        Box::new(Layout { page, config, _texts: texts, _buttons: buttons })
    }
}

/// The system calls this when something happens to the dialog. It may call it again while it is
/// called: a message to the dialog, or a dialog above it, notifies too.
unsafe extern "system" fn notified(
    window: HWND,
    what: u32,
    number: WPARAM,
    _: LPARAM,
    data: isize,
) -> HRESULT {
    // SAFETY: `show` passes a pointer to its state, which lives until the dialog is closed.
    let State { dialog, labels } = unsafe { &*(data as *const State<'_>) };
    match what as i32 {
        TDN_CREATED => {
            if let Ok(mut pages) = dialog.pages.try_borrow_mut() {
                pages.opened();
            }
            dialog.set_up(window);
        }
        TDN_NAVIGATED => dialog.set_up(window),
        TDN_TIMER => {
            let update = dialog.pages.try_borrow_mut().ok().and_then(|mut pages| pages.tick());
            dialog.apply(window, update, data, labels);
        }
        TDN_BUTTON_CLICKED => {
            let Some(choice) = dialog.choice(number as i32) else { return S_OK };
            let pages = dialog.pages.try_borrow_mut();
            let update = pages.ok().and_then(|mut pages| pages.choose(window, &choice));
            dialog.apply(window, update, data, labels);
            // The dialog stays.
            return S_FALSE;
        }
        _ => {}
    }
    S_OK
}

impl Dialog<'_> {
    fn choice(&self, button: i32) -> Option<Choice> {
        let index = usize::try_from(button.checked_sub(FIRST_LINK)?).ok()?;
        self.layout.borrow().page.links.get(index).map(|link| link.choice.clone())
    }

    fn send(&self, window: HWND, message: i32, number: WPARAM, data: LPARAM) {
        // SAFETY: `window` is the dialog, and the callers send what the messages document.
        unsafe { (self.send)(window, message as u32, number, data) };
    }

    /// What a page has besides its configuration.
    fn set_up(&self, window: HWND) {
        let (meter, links) = {
            let page = &self.layout.borrow().page;
            (page.meter, page.links.clone())
        };
        if let Meter::Share(_) = meter {
            let range = (STEPS as LPARAM) << 16;
            self.send(window, TDM_SET_PROGRESS_BAR_RANGE, 0, range);
        }
        self.set_meter(window, meter);
        for (number, link) in (FIRST_LINK..).zip(&links) {
            if link.choice == Choice::Elevate {
                let number = number as WPARAM;
                self.send(window, TDM_SET_BUTTON_ELEVATION_REQUIRED_STATE, number, 1);
            }
        }
    }

    fn set_meter(&self, window: HWND, meter: Meter) {
        match meter {
            Meter::None => {}
            Meter::Busy => self.send(window, TDM_SET_PROGRESS_BAR_MARQUEE, 1, 0),
            Meter::Share(share) => {
                let position = (share * f64::from(STEPS)).round() as WPARAM;
                self.send(window, TDM_SET_PROGRESS_BAR_POS, position, 0);
            }
        }
    }

    fn apply(&self, window: HWND, update: Option<Update>, data: isize, labels: &Labels) {
        match update {
            None => {}
            Some(Update::Close) => self.send(window, TDM_CLICK_BUTTON, IDCLOSE as WPARAM, 0),
            Some(Update::Text { text, meter }) => {
                let is_new = {
                    let page = &mut self.layout.borrow_mut().page;
                    let is_new = page.text != text;
                    page.text.clone_from(&text);
                    is_new
                };
                if is_new {
                    let units = wide(OsStr::new(&text));
                    let address = units.as_ptr() as LPARAM;
                    self.send(window, TDM_SET_ELEMENT_TEXT, TDE_CONTENT as WPARAM, address);
                }
                self.set_meter(window, meter);
            }
            Some(Update::Page) => {
                let Ok(page) = self.pages.try_borrow_mut().map(|mut pages| pages.page()) else {
                    return;
                };
                let mut layout = Layout::new(page, labels);
                layout.config.lpCallbackData = data;
                let address = ptr::from_ref(&layout.config) as LPARAM;
                // Until the system has left it, the old page must stay.
                let _old = self.layout.replace(layout);
                self.send(window, TDM_NAVIGATE_PAGE, 0, address);
            }
        }
    }
}
