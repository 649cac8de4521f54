using System.Diagnostics;

namespace KvMesh.Server;

/// <summary>
/// Starts the program again, as it lies on disk now, to take over from this process: a reload and an upgrade are the same.
/// This process goes on serving until the successor has everything, and for good when the successor fails.
/// </summary>
public static class Successor
{
    /// <summary>The option that makes a program take over.</summary>
    public const string TakeOverOption = "--take-over";

    /// <summary>Starts this process's program with its arguments and <see cref="TakeOverOption"/>.</summary>
    /// <exception cref="InvalidOperationException">The program cannot be started; nothing has changed.</exception>
    public static void Start()
    {
        var commandLine = Environment.GetCommandLineArgs();
        var program = Environment.ProcessPath ?? commandLine[0];
        var start = new ProcessStartInfo(program) { UseShellExecute = false };

        // Under the "dotnet" host the first argument is the assembly that the host shall run; else it is the program itself.
        if (Path.GetFileNameWithoutExtension(program) == "dotnet")
        {
            start.ArgumentList.Add(commandLine[0]);
        }

        foreach (var argument in commandLine.Skip(1).Where(argument => argument != TakeOverOption))
        {
            start.ArgumentList.Add(argument);
        }

        start.ArgumentList.Add(TakeOverOption);
        try
        {
            using var process = Process.Start(start);
        }
        catch (System.ComponentModel.Win32Exception exception)
        {
            throw new InvalidOperationException($"The successor {program} cannot be started: {exception.Message}", exception);
        }
    }
}
