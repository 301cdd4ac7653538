//! Inputs for programs that were not written here, made as they are needed.

use std::fmt::Write;

/// C++ of `classes` classes without a regular layout, some five lines each when it is formatted.
pub fn badly_formatted_source(classes: usize) -> String {
    let mut text = String::from("#include   <vector>\n");
    for number in 0..classes {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "template<typename T>struct  S{number}{{T value;int f{number}(int a,T b){{if(a>{number}){{return a*{number}+\
             static_cast<int>(b);}}else{{for(int i=0;i<a;++i){{value+=i;}}}}\n\n\nreturn  0;}}}};\
             // a remark about number {number}, long enough that it has to be broken into more than
             // one line of text\n"
        );
    }
    text
}
