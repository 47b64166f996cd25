# Runs a vendor's Tcl script under plain tclsh: tclsh vendor_shell.tcl SCRIPT TRACE
#
# Every command that Tcl itself does not have is written to TRACE, one line of tab-separated words after the current
# folder, and gets a harmless answer. What the commands mean is checked afterwards, by vendor_check.py. WNS in the
# environment is the setup slack that Vivado is to report.
lassign $argv script trace_path
set trace [open $trace_path w]
set project {}
set block_design {}

proc touch {path} {
    file mkdir [file dirname $path]
    close [open $path a]
}

proc answer {command words} {
    global project block_design
    set last [lindex $words end]
    set file [lsearch -exact $words -file]
    if {$file >= 0} { touch [lindex $words [expr {$file + 1}]] }
    switch $command {
        open_project { set project [file normalize $last] }
        open_solution { set project [file join $project $last] }
        export_design {
            set output [lsearch -exact $words -output]
            if {$output >= 0} { touch [lindex $words [expr {$output + 1}]] }
            touch [file join $project impl ip component.xml]
        }
        create_project {
            set places [lsearch -all -inline -not -regexp $words {^-}]
            set project [file join [file normalize [lindex $places 1]] [lindex $places 0]]
        }
        create_bd_design { set block_design $last }
        make_wrapper {
            set last $project.gen/sources_1/bd/$block_design/hdl/${block_design}_wrapper.v
            touch $last
        }
        launch_runs {
            touch $project.runs/impl_1/${block_design}_wrapper.bit
            touch $project.gen/sources_1/bd/$block_design/hw_handoff/$block_design.hwh
        }
        get_property {
            switch [lindex $words 0] {
                PROGRESS { return 100% }
                STATS.WNS { return [expr {[info exists ::env(WNS)] ? $::env(WNS) : 0.1}] }
                STATS.WHS { return 0.02 }
                CONFIG.FREQ_HZ { return 99999001 }
            }
        }
    }
    return $last
}

proc call {command args} {
    set words {}
    foreach word [list [pwd] $command {*}$args] {
        lappend words [string map [list \\ \\\\ \t \\t \n \\n] $word]
    }
    puts $::trace [join $words \t]
    return [answer $command $args]
}

proc stop {{code 0}} {
    throw [expr {$code == 0 ? "EXIT" : "FAIL"}] "the script ended with exit code $code"
}

set vendor [interp create]
interp alias $vendor unknown {} call
interp alias $vendor exec {} error "exec is not for a vendor's script"
interp alias $vendor exit {} stop
if {[catch {interp eval $vendor [list source $script]} message options] && [dict get $options -errorcode] ne "EXIT"} {
    close $trace
    puts stderr $message
    exit 1
}
close $trace
