#include <stdio.h>
#include "imap/a.h"
