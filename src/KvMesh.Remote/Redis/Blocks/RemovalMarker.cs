using Microsoft.Extensions.Logging;

namespace KvMesh.Remote.Redis.Blocks;

/// <summary>
/// An empty file that is there while Redis has not heard of all removals. A process that finds one does not know which they were, and
/// voids everything of its tenants: copies are lost, but nothing that was removed comes back. One thread, but for <see cref="Set"/>.
/// </summary>
internal sealed partial class RemovalMarker(string path, ILogger logger)
{
    private readonly Lock _lock = new();
    private bool _isSet = path.Length > 0 && File.Exists(path);

    public bool IsSet
    {
        get
        {
            lock (_lock)
            {
                return _isSet;
            }
        }
    }

    public void Set() => Change(isSet: true);

    public void Clear() => Change(isSet: false);

    private void Change(bool isSet)
    {
        if (path.Length == 0)
        {
            return;
        }

        lock (_lock)
        {
            if (_isSet == isSet)
            {
                return;
            }

            try
            {
                if (isSet)
                {
                    File.Create(path).Dispose();
                }
                else
                {
                    File.Delete(path);
                }
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                LogCannotMark(path, exception.Message);
            }

            // One attempt for each change: the log has told.
            _isSet = isSet;
        }
    }

    [LoggerMessage(4121, LogLevel.Error, "The file {Path}, which tells a restarted node of removals that Redis has not heard of, cannot be written or removed: {Reason}")]
    private partial void LogCannotMark(string path, string reason);
}
