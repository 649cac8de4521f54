namespace KvMesh.Server.Coding;

/// <summary>A file of layouts that cannot be followed; the message names field, value and limit.</summary>
internal sealed class LayoutFileException : Exception
{
    public LayoutFileException()
    {
    }

    public LayoutFileException(string message)
        : base(message)
    {
    }

    public LayoutFileException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
