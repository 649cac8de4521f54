namespace KvMesh.LoadTest;

/// <summary>The measurement cannot be made; the message says why.</summary>
internal sealed class LoadTestException : Exception
{
    public LoadTestException()
    {
    }

    public LoadTestException(string message)
        : base(message)
    {
    }

    public LoadTestException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
