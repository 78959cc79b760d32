#include "upload/b.h"
