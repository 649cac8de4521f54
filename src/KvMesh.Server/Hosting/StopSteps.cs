namespace KvMesh.Server.Hosting;

/// <summary>
/// What must be undone, newest first: after a failed start as well as at a stop. A step that fails does not keep the others
/// from running; its exception comes out at the end.
/// </summary>
internal sealed class StopSteps
{
    private readonly Stack<Func<Task>> _steps = new();

    public void Add(Func<Task> step) => _steps.Push(step);

    public void Add(IDisposable part) => _steps.Push(() =>
    {
        part.Dispose();
        return Task.CompletedTask;
    });

    public async Task RunAsync()
    {
        List<Exception>? failures = null;
        while (_steps.TryPop(out var step))
        {
            try
            {
                await step().ConfigureAwait(false);
            }
#pragma warning disable CA1031 // The root of the stop: what is left must still be given back.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                (failures ??= []).Add(exception);
            }
        }

        if (failures is not null)
        {
            throw new AggregateException("A part of the node did not stop cleanly.", failures);
        }
    }
}
