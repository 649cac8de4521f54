namespace KvMesh.Orleans.Hosting;

/// <summary>Hears a silo's last word in the place of Orleans' own handler, which would end the process: the node serves its blocks all the same.</summary>
internal sealed class SiloLoss : IFatalErrorHandler
{
    private readonly TaskCompletionSource<string> _reason = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Why the silo is lost, once it is.</summary>
    public Task<string> Reason => _reason.Task;

    public bool IsUnexpected(Exception exception) => true;

    public void OnFatalException(object? sender = null, string? context = null, Exception? exception = null) =>
        _reason.TrySetResult(exception?.Message ?? context ?? "it gave no reason.");
}
