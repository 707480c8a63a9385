# The wizard starts with the login of a console, and quitting it lands in this shell.
if [ -z "${BTY_CONSOLE-}" ] && [ "$(id -u)" = 0 ]; then
    case $(tty) in
    /dev/tty1 | /dev/ttyS*)
        BTY_CONSOLE=$(tty)
        export BTY_CONSOLE
        /usr/lib/bty/console
        ;;
    esac
fi
