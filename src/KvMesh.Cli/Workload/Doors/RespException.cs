namespace KvMesh.Cli.Workload.Doors;

/// <summary>A RESP server answered with an error, or with something a strict client cannot accept.</summary>
internal sealed class RespException : IOException
{
    public RespException()
    {
    }

    public RespException(string message)
        : base(message)
    {
    }

    public RespException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
