namespace KvMesh.Gateway.Sockets;

/// <summary>A named background thread that its owner can wait for.</summary>
internal sealed class OwnedThread
{
    private readonly Thread _thread;

    private OwnedThread(string name, Action body) => _thread = new Thread(() => body()) { Name = name, IsBackground = true };

    public static OwnedThread Start(string name, Action body)
    {
        var owned = new OwnedThread(name, body);
        owned._thread.Start();
        return owned;
    }

    /// <summary>Runs <paramref name="body"/> on a thread of its own, for waits that must not take one of the thread pool.</summary>
    public static Task RunAsync(string name, Action body) => RunAsync(name, () =>
    {
        body();
        return true;
    });

    /// <inheritdoc cref="RunAsync(string, Action)"/>
    public static Task<T> RunAsync<T>(string name, Func<T> body)
    {
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        Start(name, () =>
        {
            try
            {
                done.SetResult(body());
            }
            catch (Exception failure)
            {
                done.SetException(failure);
            }
        });
        return done.Task;
    }

    public void Join() => _thread.Join();
}
