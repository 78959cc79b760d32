int f(void);
int f(void)
{
	int v[2] = {0, 1};
	return v[2];
}
