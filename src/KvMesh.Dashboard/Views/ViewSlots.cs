namespace KvMesh.Dashboard.Views;

/// <summary>Counts open pages up to the limit.</summary>
internal sealed class ViewSlots(DashboardOptions options)
{
    private int _open;

    public int Limit => options.MaxViews;

    public int Open => Volatile.Read(ref _open);

    public bool IsFull => Open >= Limit;

    /// <summary>Takes a slot, or nothing when all are taken. Dispose gives it back, once.</summary>
    public IDisposable? TryEnter()
    {
        if (Interlocked.Increment(ref _open) > Limit)
        {
            Interlocked.Decrement(ref _open);
            return null;
        }

        return new Slot(this);
    }

    private sealed class Slot(ViewSlots slots) : IDisposable
    {
        private int _isGiven;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _isGiven, 1) == 0)
            {
                Interlocked.Decrement(ref slots._open);
            }
        }
    }
}
