typedef struct { int a; } thing;
