namespace KvMesh.Gateway.Handover;

/// <summary>A handover did not take place; the message says why, and the node that was to be replaced serves on.</summary>
public sealed class HandoverException : IOException
{
    public HandoverException()
    {
    }

    public HandoverException(string message)
        : base(message)
    {
    }

    public HandoverException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
